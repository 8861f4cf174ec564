"""What every program on a host shares, product or simulator."""
