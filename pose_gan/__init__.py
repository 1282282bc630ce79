"""Deformable GANs for pose-based human image generation (Siarohin et al., CVPR 2018)."""
