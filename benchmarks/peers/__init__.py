"""Who is measured: one module for each library, with a function for each row."""
