"""Random lives of a column in virtual time, with every fault that the world knows."""
