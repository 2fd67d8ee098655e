"""Every metric says what it is and what it counts, here and in the reference."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from netra import __version__
from netra.monitoring.metrics import _UNIT_OF, Metrics, metrics, unit_of

REFERENCE = Path(__file__).parents[3] / "docs" / "metrics.md"
FAMILIES = sorted(metrics.registry.collect(), key=lambda family: family.name)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_has_help_and_a_unit_and_is_in_the_reference(family: Metric) -> None:
    assert family.name.startswith(("netra_", "process_"))
    assert family.documentation[:1].isupper()
    assert family.documentation.endswith(".")
    row = f"| `{family.name}` | {family.type} | {unit_of(family.name)} | {family.documentation} |"
    assert row in REFERENCE.read_text(encoding="utf-8").splitlines()


def test_times_and_sizes_are_in_base_units_and_no_unit_is_that_of_nothing() -> None:
    for family in FAMILIES:
        assert not family.name.endswith(("_ms", "_milliseconds", "_minutes", "_kb", "_mb")), family.name
        assert (family.type == "histogram") <= family.name.endswith(("_seconds", "_bytes", "_units")), family.name
    assert _UNIT_OF.keys() <= {family.name for family in FAMILIES}
    with pytest.raises(KeyError):
        unit_of("netra_something_else")


def test_the_build_and_the_process_are_exposed() -> None:
    exposed = Metrics()
    exposed.build.info({"version": __version__, "python": platform.python_version()})
    found = {family.name: family for family in text_string_to_metric_families(exposed.render().decode())}
    (build,) = found["netra_build_info"].samples
    assert build.labels == {"version": __version__, "python": platform.python_version()}
    assert found["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert found["process_cpu_seconds"].samples[0].value > 0
    assert found["process_open_fds"].samples[0].value > 0
    assert all(family.documentation for family in found.values())
