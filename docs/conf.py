"""Settings of Sphinx."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# wampy itself, when it is not installed, and the extensions of this documentation.
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from wampy import __version__  # noqa: E402

project = "wampy"
author = "the wampy developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "session_states"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"wampy {release}"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# Docstrings name Python things in single backquotes.
default_role = "code"
