"""How the package's modules hang together, beyond the order of the rooms, which import-linter checks."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("feda2v_cli", exclude_type_checking_imports=True, cache_dir=None)
    # The public surface names functions of every room, and imports each when it is first used.
    modules = graph.modules - {"feda2v_cli"}
    imports = {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}
    try:
        tuple(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
