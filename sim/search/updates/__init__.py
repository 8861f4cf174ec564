"""Part of the campaign: releases that are none, see search.py."""
