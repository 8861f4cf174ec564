"""Updates over the air: loaded when there is one, and forgotten. The alarm's memory and its way are never theirs."""
