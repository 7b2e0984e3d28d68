# SPDX-License-Identifier: BSD-2-Clause
"""What a card's registers and video memory look like: a picture, and text. Pure functions."""
