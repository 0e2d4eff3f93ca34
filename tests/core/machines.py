"""A machine of round numbers, for tests of arithmetic."""

from muscope.machine import Machine

ROUND = Machine(
    device="CPU, 1 threads",
    threads=1,
    torch_version="2",
    matmul_precision="highest",
    products=((32.0, 1e10), (512.0, 1e11)),
    products_bfloat16=((32.0, 2e10), (512.0, 2e11)),
    traffic=((2.0**17, 1e10),),
    eigenvectors=((32.0, 1e9),),
    qr=((32.0, 1e9),),
    draws=1e8,
    operation_s=1e-5,
)
