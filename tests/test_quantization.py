"""The encoder's rounding by table."""

import numpy as np
import pytest

from codec.entropy.tables import Tables
from codec.networks.quantization import NOT_CODED, rounding_by_table
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle


@pytest.fixture
def tables() -> Tables:
    """Three tables over -1, 0, 1: nearly always zero, even odds, rarely zero."""
    frequency = np.array(
        [[100, 65000, 100, 336], [20000, 20000, 20000, 5536], [30000, 5000, 30000, 536]]
    )
    minimum, length = np.full(3, -1, np.int32), np.full(3, 4, np.int32)
    return Tables(minimum, length, frequency.astype(np.int32))


def test_a_rare_one_must_be_nearer_to_be_chosen(tables):
    rounding = rounding_by_table(tables, 0)
    assert rounding[0] < 0.5
    assert rounding[1] == 0.5


def test_a_residual_is_never_rounded_away_from_the_nearest_integer(tables):
    assert rounding_by_table(tables, 0).max() == 0.5


def test_nothing_is_coded_below_the_threshold_nor_without_a_table(tables):
    rounding = rounding_by_table(tables, 2)
    assert (rounding[[0, 1, 3, 255]] == NOT_CODED).all()
    assert rounding[2] >= 0


def test_the_shipped_tables_never_double_the_dead_zone():
    bundle = load_bundle(DEFAULT_MODEL_ID)
    coded = rounding_by_table(bundle.residual_tables, bundle.skip_below)
    coded = coded[bundle.skip_below : len(bundle.residual_tables.length)]
    assert (coded > 0).all()
