"""A year of a city's columns at a real desk, in virtual time: does it know what is proven, and why one was down?"""
