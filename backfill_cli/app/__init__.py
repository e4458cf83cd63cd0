"""One use case a file: options in, a frozen result out. Here store, executor, clock and listeners meet."""
