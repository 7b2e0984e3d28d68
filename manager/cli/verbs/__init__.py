# SPDX-License-Identifier: BSD-2-Clause
"""A module for each verb: `register` adds it to the parser, `run` carries it out."""
