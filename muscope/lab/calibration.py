"""What this machine does in a second, measured in about one: the numbers of a Machine."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from muscope.catalogue.optimizer_costs import EIGENVECTORS, QR
from muscope.lab import environment
from muscope.machine import Curve, Machine

REPEATS, MOST_REPEATS, ENOUGH_S = 3, 15, 0.02
"""The median of three after one that warms up; of more while they are quickly had."""
SMALLEST_S = 1e-7
"""No clock tells less apart, and nothing here is faster."""
STACK_ELEMENTS = 2**20
"""A stack of small matrices has so many numbers, as members have."""
LARGEST_STACK = 64
CPU_PRODUCTS, GPU_PRODUCTS = (
    (32, 64, 128, 256, 512, 1024),
    (32, 64, 128, 256, 512, 1024, 4096, 8192),
)
BFLOAT16_PRODUCTS = (64, 128, 256, 512)
TENSOR_BYTES = (2**17, 2**20, 2**22, 2**24, 2**26)
DECOMPOSED = (32, 64, 128, 256)
DRAWN = 2**17
CHAIN, CHAIN_OPERATIONS = 10, 4
"""Links of a chain of small operations, and the kernels of each: two forward, two backward."""

Clock = Callable[[], float]


def calibrate(clock: Clock = time.perf_counter) -> Machine:
    """Measure this process's device with the threads that it has been given."""
    on_gpu = environment.device().type == "cuda"
    sizes = GPU_PRODUCTS if on_gpu else CPU_PRODUCTS
    here = environment.describe()
    return Machine(
        device=here.device,
        threads=torch.get_num_threads(),
        torch_version=here.torch_version,
        matmul_precision=here.matmul_precision,
        products=_products(sizes, torch.float32, clock),
        products_bfloat16=_products(BFLOAT16_PRODUCTS + sizes[6:], torch.bfloat16, clock),
        traffic=tuple((float(size), _traffic(size, clock)) for size in TENSOR_BYTES),
        eigenvectors=tuple((float(size), _eigenvectors(size, clock)) for size in DECOMPOSED),
        qr=tuple((float(size), _qr(size, clock)) for size in DECOMPOSED),
        draws=_draws(clock),
        operation_s=_operation_s(clock),
        is_gpu=on_gpu,
    )


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    """The median time of some work, the device's queue included."""
    work()
    found: list[float] = []
    while len(found) < REPEATS or (len(found) < MOST_REPEATS and sum(found) < ENOUGH_S):
        _settle()
        started = clock()
        work()
        _settle()
        found.append(clock() - started)
    return max(statistics.median(found), SMALLEST_S)


def _settle() -> None:
    if environment.device().type == "cuda":
        torch.cuda.synchronize()


def _random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same numbers each time, and no others' generator is touched."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator).to(environment.device(), dtype)


def _products(sizes: Sequence[int], dtype: torch.dtype, clock: Clock) -> Curve:
    return tuple((float(size), _product(size, dtype, clock)) for size in sizes)


def _product(size: int, dtype: torch.dtype, clock: Clock) -> float:
    members = min(LARGEST_STACK, max(1, STACK_ELEMENTS // size**2 // 4))
    one, other = (_random(members, size, size, dtype=dtype) for _ in range(2))
    return 2 * members * size**3 / _seconds(lambda: one @ other, clock)


def _traffic(size: int, clock: Clock) -> float:
    """Of a sum of two tensors of so many bytes, whose result is a new one."""
    one, other = (torch.ones(size // 4, device=environment.device()) for _ in range(2))
    return 3 * size / _seconds(lambda: one + other, clock)


def _eigenvectors(size: int, clock: Clock) -> float:
    matrix = _random(1, size, size, dtype=torch.float64)
    symmetric = matrix @ matrix.mT
    return EIGENVECTORS * size**3 / _seconds(lambda: torch.linalg.eigh(symmetric), clock)


def _qr(size: int, clock: Clock) -> float:
    matrix = _random(1, size, size)
    return QR * size**3 / _seconds(lambda: torch.linalg.qr(matrix), clock)


def _draws(clock: Clock) -> float:
    generator = torch.Generator().manual_seed(0)
    return DRAWN / _seconds(lambda: torch.randn(DRAWN, generator=generator), clock)


def _operation_s(clock: Clock) -> float:
    """A chain of operations too small to matter, stacked and differentiated as the engine does."""
    start = _random(2, 8, 8)

    def chain(values: Tensor) -> Tensor:
        for _ in range(CHAIN):
            values = values.tanh() * 1.01
        return values.sum()

    def work() -> None:
        leaf = start.detach().requires_grad_()
        torch.autograd.grad(vmap(chain)(leaf).sum(), [leaf])

    return _seconds(work, clock) / (CHAIN * CHAIN_OPERATIONS)
