"""Reading files of unknown origin whole, without running code or filling the memory."""
