"""Networks by name: the published configurations of NeXt-TDNN.

Names and shapes are those of the official repository (github.com/dmlguq456/NeXt_TDNN_ASV,
Apache-2.0): C channels, B blocks in each of three stages, K the kernel sizes. All give
embeddings of 192 numbers from 80 mel bands.
"""

from __future__ import annotations

from models.network.next_tdnn import Architecture

BOTH_KERNELS = (7, 65)
LONG_KERNEL = (65,)

ARCHITECTURES: dict[str, Architecture] = {
    "NeXt_TDNN_C128_B3_K65_7": Architecture(128, (3, 3, 3), BOTH_KERNELS),
    "NeXt_TDNN_C192_B1_K65_7": Architecture(192, (1, 1, 1), BOTH_KERNELS),
    "NeXt_TDNN_C256_B3_K65_7": Architecture(256, (3, 3, 3), BOTH_KERNELS),
    "NeXt_TDNN_C384_B1_K65_7": Architecture(384, (1, 1, 1), BOTH_KERNELS),
    "NeXt_TDNN_light_C128_B3_K65": Architecture(128, (3, 3, 3), LONG_KERNEL, light=True),
    "NeXt_TDNN_light_C192_B1_K65": Architecture(192, (1, 1, 1), LONG_KERNEL, light=True),
    "NeXt_TDNN_light_C256_B3_K65": Architecture(256, (3, 3, 3), LONG_KERNEL, light=True),
    "NeXt_TDNN_light_C384_B1_K65": Architecture(384, (1, 1, 1), LONG_KERNEL, light=True),
}
