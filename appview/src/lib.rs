//! How rows become something you can see, hear and act on: the read side of plyr.
