"""Part of the campaign: a broker that lies, between a column and a desk that prove what they say."""
