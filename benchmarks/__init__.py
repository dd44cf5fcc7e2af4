"""wampy and autobahn-python side by side, and a floor to compare with: ``make bench``, or ``python -m benchmarks``."""
