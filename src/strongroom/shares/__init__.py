"""M-of-N shares of a 256-bit secret: SLIP-39, what custodians hold, and how they show that they hold it."""
