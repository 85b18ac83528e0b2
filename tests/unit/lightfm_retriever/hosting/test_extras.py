import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from lightfm_retriever.hosting import extras

PROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
# For developers; and what another package brings along.
NOT_FOR_USERS = {"audit", "dev", "docs"}
BROUGHT_ALONG = {"py4j"}
INSTALLED = importlib.metadata.packages_distributions()


def spelled(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_table_has_the_extras_of_the_project():
    assert extras.MODULES.keys() == PROJECT["optional-dependencies"].keys() - NOT_FOR_USERS


@pytest.mark.parametrize("extra", sorted(extras.MODULES))
def test_every_package_of_an_extra_is_in_the_table_and_no_other(extra):
    required = PROJECT["optional-dependencies"][extra]
    wanted = {spelled(re.match(r"[\w.-]+", own)[0]) for own in required} - {extras.DISTRIBUTION}
    modules = {*extras.MODULES[extra]} - BROUGHT_ALONG
    # One that isn't installed here has no other name that it is imported by.
    found = {module: {*map(spelled, INSTALLED.get(module, [module]))} for module in modules}
    assert wanted <= set().union(*found.values())
    # Namespaces such as google are of several packages.
    assert all(wanted & own for own in found.values())
    # Messages name it, since nobody can install a module.
    assert {*map(extras.package_of, modules)} <= wanted


def test_a_module_has_the_command_that_installs_it():
    for module, program, package in (
        ("lightfm", "retriever", "'lightfm-retriever[trainer]'"),
        ("nmslib", "trainer", "'lightfm-retriever[nmslib]'"),
        ("numpy", "trainer", "lightfm-retriever"),
    ):
        assert extras.install_command(module, program) == f"pip install {package}"
    assert extras.install_command("json5", program) is None
    # The first that is missing is named.
    assert extras.first_missing(["numpy", "no_such_module", "nor_this"]) == "no_such_module"
    assert extras.first_missing(["no_such_module.below"]) == "no_such_module.below"
    assert extras.first_missing(["numpy", "json"]) is None
