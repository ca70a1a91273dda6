import pytest
import torch

from beamwise.backbones import products
from beamwise.backbones.products import fast_cpu_products, has_wide_units_that_mkl_leaves

AMD = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f avx512_bf16\nbugs : x\n"
)


@pytest.fixture(autouse=True)
def forget():
    products._is_faster_and_exact.cache_clear()
    yield
    products._is_faster_and_exact.cache_clear()


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (AMD, True),
        (AMD.replace("AuthenticAMD", "GenuineIntel"), False),
        (AMD.replace("avx512f ", ""), False),
        (AMD.replace("avx512f", "avx512f amx_tile"), False),
        (AMD.replace("flags", "bugs").replace("bugs : x", "bugs : avx512f"), False),
        ("", False),
    ],
)
def test_which_cpus_gain(description, expected):
    assert has_wide_units_that_mkl_leaves(description) is expected


def test_products_stay_fp32_and_the_setting_is_restored(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(AMD)
    monkeypatch.setattr(products, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    before = torch.backends.mkldnn.matmul.fp32_precision
    left, right = torch.rand(64, 96), torch.rand(96, 80)
    with fast_cpu_products():
        product = left @ right
    exact = left.double() @ right.double()
    torch.testing.assert_close(product.double(), exact, rtol=1e-5, atol=0)
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_lower_precision_inside_leaves_the_default(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(AMD)
    monkeypatch.setattr(products, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    monkeypatch.setattr(products, "_is_fp32_inside", lambda: False)
    before = torch.backends.mkldnn.matmul.fp32_precision
    with fast_cpu_products():
        assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_the_setting_is_restored_after_an_error(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(AMD)
    monkeypatch.setattr(products, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    before = torch.backends.mkldnn.matmul.fp32_precision
    with pytest.raises(RuntimeError, match="stop"), fast_cpu_products():
        raise RuntimeError("stop")
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_a_machine_without_a_description_keeps_the_default(monkeypatch, tmp_path):
    monkeypatch.setattr(products, "CPU_DESCRIPTION", tmp_path / "nothing")
    before = torch.backends.mkldnn.matmul.fp32_precision
    with fast_cpu_products():
        assert torch.backends.mkldnn.matmul.fp32_precision == before
