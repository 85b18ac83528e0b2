"""Every benchmark and load says what it does."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys

import pytest

from tests import benchmarks, load


def _commands():
    for package in (benchmarks, load):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            if "ArgumentParser(" in inspect.getsource(module) and hasattr(module, "main"):
                yield module


MODULES = list(_commands())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_help_is_printed(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["it", "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_all_are_found():
    assert len(MODULES) >= 15
