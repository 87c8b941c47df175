"""The grammar of Bash, without the rest of its package.

The package looks for its query files by `importlib.resources`, which takes longer to load than the grammar
itself; nobody here asks for these files, and a hook has no time for them.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from tree_sitter import Language


def bash() -> Language:
    """The language for a parser. Raises ImportError where tree-sitter-bash isn't installed."""
    return Language(_binding().language())


def _binding() -> ModuleType:
    package = find_spec("tree_sitter_bash")
    found = PathFinder.find_spec("_binding", package.submodule_search_locations) if package else None
    if found is None or found.loader is None:
        raise ImportError("tree-sitter-bash isn't installed")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
