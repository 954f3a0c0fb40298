"""Irreps of every group: homomorphisms, orthogonality, the sum rules, and C_n against the Fourier code."""

import numpy as np
import pytest
import torch

from grokinterp.harmonics import irrep_cache
from grokinterp.harmonics.cyclic import component_norms, fourier_basis, frequency_norms
from grokinterp.harmonics.groups import FiniteGroup, parse_group, recognise
from grokinterp.harmonics.irreps import complex_irreps, real_irreps, realified, span_basis, split_regular
from grokinterp.harmonics.young import partitions, standard_tableaux

CYCLIC = [f"C{n}" for n in (1, 2, 3, 7, 12, 13, 113)]
DIHEDRAL = [f"D{n}" for n in (1, 2, 3, 4, 7, 12)]
PERMUTATIONS = ["S1", "S2", "S3", "S4", "S5", "S6", "A3", "A4", "A5"]
PRODUCTS = ["C2xS3", "C3xC3", "C3xA4", "C2xC2xC3", "S3xS3", "D4xC2"]
GROUPS = CYCLIC + DIHEDRAL + PERMUTATIONS + PRODUCTS
SMALL = [name for name in GROUPS if parse_group(name).order <= 120]

CLASSES = {"S3": 3, "S4": 5, "S5": 7, "S6": 11, "A4": 4, "A5": 5, "D4": 5, "D7": 5, "D12": 9, "C7": 7, "C2xS3": 6}
"""Numbers of conjugacy classes, which are the numbers of complex irreps."""


@pytest.fixture(params=GROUPS)
def group(request) -> FiniteGroup:
    return parse_group(request.param)


def test_real_irreps_are_orthogonal_homomorphisms(group):
    some = np.random.default_rng(0).choice(group.order, size=min(group.order, 20), replace=False)
    for irrep in real_irreps(group):
        rho = irrep.matrices
        products = np.einsum("gij,hjk->ghik", rho[some], rho)
        assert np.abs(rho[group.table[some]] - products).max() < 1e-12
        assert np.abs(np.einsum("gij,gkj->gik", rho, rho) - np.eye(irrep.dimension)).max() < 1e-12


def test_characters_of_real_irreps_are_orthogonal_with_their_commutant(group):
    irreps = real_irreps(group)
    characters = np.array([irrep.character for irrep in irreps])
    overlaps = characters @ characters.T / group.order
    assert np.allclose(overlaps, np.diag([irrep.commutant for irrep in irreps]), atol=1e-10)
    assert all(irrep.commutant in (1, 2, 4) for irrep in irreps)


def test_the_sum_rules_of_real_and_of_complex_irreps(group):
    assert sum(irrep.dimension**2 / irrep.commutant for irrep in real_irreps(group)) == group.order
    assert sum(rho.shape[1] ** 2 for rho in complex_irreps(group)) == group.order


@pytest.mark.parametrize("name", SMALL)
def test_complex_irreps_satisfy_the_orthogonality_relations_of_all_matrix_elements(name):
    group = parse_group(name)
    elements = [rho.reshape(group.order, -1).T * np.sqrt(rho.shape[1] / group.order) for rho in complex_irreps(group)]
    everything = np.concatenate(elements)
    assert np.abs(everything @ everything.conj().T - np.eye(group.order)).max() < 1e-10


@pytest.mark.parametrize("name", SMALL)
def test_complex_irreps_are_unitary_homomorphisms(name):
    group = parse_group(name)
    for rho in complex_irreps(group):
        assert np.abs(rho[group.table] - np.einsum("gij,hjk->ghik", rho, rho)).max() < 1e-11
        assert np.abs(np.einsum("gij,gkj->gik", rho, rho.conj()) - np.eye(rho.shape[1])).max() < 1e-11


@pytest.mark.parametrize("name", CLASSES)
def test_there_are_as_many_complex_irreps_as_conjugacy_classes(name):
    group = parse_group(name)
    conjugates = group.table[group.table[:, None, :].squeeze(1), group.inverse[:, None]]  # [x, y] = x.y.x^-1
    classes = {tuple(sorted(set(conjugates[:, y].tolist()))) for y in range(group.order)}
    assert len(complex_irreps(group)) == len(classes) == CLASSES[name]


@pytest.mark.parametrize("name", SMALL)
def test_closed_forms_and_young_agree_with_splitting_the_regular_representation(name):
    group = parse_group(name)
    closed, split = real_irreps(group), split_regular(group)
    assert len(closed) == len(split)
    for irrep in closed:
        assert min(np.abs(irrep.character - other.character).max() for other in split) < 1e-9


@pytest.mark.parametrize("name", SMALL)
def test_the_spans_of_all_irreps_fill_the_functions_on_the_group(name):
    group = parse_group(name)
    rows = np.concatenate([span_basis(irrep) for irrep in real_irreps(group)])
    assert rows.shape == (group.order, group.order)
    assert np.abs(rows @ rows.T - np.eye(group.order)).max() < 1e-10


def test_the_trivial_irrep_comes_first_and_spans_the_constants(group):
    first, *others = real_irreps(group)
    assert first.trivial
    assert not any(irrep.trivial for irrep in others)
    assert np.ptp(span_basis(first)) < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12, 13, 113])
def test_cyclic_irreps_span_what_the_fourier_rows_of_their_frequency_span(n):
    basis, irreps = fourier_basis(n).numpy(), real_irreps(parse_group(f"C{n}"))
    assert [irrep.name for irrep in irreps] == ["trivial", *[f"k={k}" for k in range(1, n // 2 + 1)]]
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    by_irrep = [np.linalg.norm(span_basis(irrep) @ x.numpy()) for irrep in irreps]
    assert np.abs(np.array(by_irrep) - frequency_norms(component_norms(x)).numpy()).max() < 1e-10
    for k, irrep in enumerate(irreps[1:], start=1):
        rows = basis[2 * k - 1 : 2 * k + 1]
        span = span_basis(irrep)
        assert np.abs(rows.T @ rows - span.T @ span).max() < 1e-10


def test_c7_has_real_sum_of_squared_dimensions_13_although_it_has_7_elements():
    irreps = real_irreps(parse_group("C7"))
    assert sum(irrep.dimension**2 for irrep in irreps) == 13
    assert sum(irrep.span_dimension for irrep in irreps) == 7


def test_a_quaternionic_irrep_has_a_commutant_of_dimension_four():
    """The quaternion group: i, j, k as matrices; its table comes from no name."""
    i, j = np.array([[1j, 0], [0, -1j]]), np.array([[0, 1], [-1, 0]], dtype=complex)
    units = [np.eye(2, dtype=complex), i, j, i @ j]
    elements = units + [-u for u in units]
    table = np.array(
        [[next(n for n, z in enumerate(elements) if np.allclose(x @ y, z)) for y in elements] for x in elements]
    )
    group = recognise(table)
    types = sorted((irrep.dimension, irrep.commutant) for irrep in real_irreps(group))
    assert types == [(1, 1)] * 4 + [(4, 4)]
    assert sorted(rho.shape[1] for rho in complex_irreps(group)) == [1, 1, 1, 1, 2]


def test_young_tableaux_number_what_the_hook_length_formula_says():
    assert [len(standard_tableaux(shape)) for shape in partitions(5)] == [1, 4, 5, 6, 5, 4, 1]
    assert sum(len(standard_tableaux(shape)) ** 2 for shape in partitions(6)) == 720


def test_standard_and_sign_representation_of_s5_are_the_ones_they_are_named_after():
    group = parse_group("S5")
    from grokinterp.harmonics.groups import parities, symmetric_group

    elements = symmetric_group(5)
    by_name = {irrep.name: irrep for irrep in real_irreps(group)}
    fixed_points = (elements == np.arange(5)).sum(axis=1)
    assert np.allclose(by_name["[4,1]"].character, fixed_points - 1, atol=1e-12)
    assert np.allclose(by_name["[1^5]"].character, 1 - 2 * parities(elements), atol=1e-12)


def test_a_table_that_is_no_group_is_not_recognised():
    x, y = np.arange(5)[:, None], np.arange(5)[None, :]
    assert recognise((x - y) % 5) is None
    assert recognise(x * y % 5) is None
    swapped = parse_group("C5").table.copy()
    swapped[[1, 2]] = swapped[[2, 1]]
    assert recognise(swapped) is None
    loop = np.array([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]])
    assert (np.sort(loop, axis=0) == np.arange(5)[:, None]).all()  # a Latin square with a neutral element
    assert recognise(loop) is None


def test_a_renumbered_group_is_recognised_and_has_the_same_irreps():
    group = parse_group("A4")
    order = np.random.default_rng(3).permutation(group.order)
    place = np.argsort(order)
    other = recognise(place[group.table[np.ix_(order, order)]])
    assert other is not None
    assert other.identity == place[group.identity]
    dimensions = sorted((irrep.dimension, irrep.commutant) for irrep in real_irreps(other))
    assert dimensions == [(1, 1), (2, 2), (3, 1)]


def test_a_conjugate_pair_made_real_has_twice_the_real_part_as_its_character():
    rho = next(rho for rho in complex_irreps(parse_group("C7")) if np.abs(rho.imag).max() > 0.1)
    assert np.allclose(np.trace(realified(rho), axis1=1, axis2=2), 2 * np.trace(rho, axis1=1, axis2=2).real)


def test_irreps_come_back_from_disk_as_they_were_and_a_damaged_file_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def build():
        calls.append(1)
        return [("one", np.arange(6.0).reshape(1, 2, 3))]

    first = irrep_cache.cached_on_disk("irreps", "key", build)
    again = irrep_cache.cached_on_disk("irreps", "key", build)
    assert len(calls) == 1
    assert again[0][0] == "one"
    assert np.array_equal(again[0][1], first[0][1])
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:40])
    assert np.array_equal(irrep_cache.cached_on_disk("irreps", "key", build)[0][1], first[0][1])
    assert len(calls) == 2


def test_a_cache_folder_that_cannot_be_made_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert irrep_cache.cached_on_disk("irreps", "k", lambda: [("a", np.ones(1))])[0][0] == "a"
