#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What the image's unit runs: so that a change of the agent needs no new image.
cd /run
exec python3 -m inside.agent
