"""Part of the campaign: certificates and an authority that change while the city lives on, see search.py."""
