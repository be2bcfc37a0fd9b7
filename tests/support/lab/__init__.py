# SPDX-License-Identifier: Apache-2.0
"""A small world on one machine: a host and a guest in network namespaces, with the real programs between them.

Used by scripts/demo, tests/netns and the bench. Standard library only; needs root, cgroup v2 and iproute2.
"""
