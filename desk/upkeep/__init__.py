"""The columns' upkeep: which should be there, what of each is proven, when it was down and why, who repairs it."""
