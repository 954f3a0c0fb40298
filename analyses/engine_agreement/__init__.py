"""Do the two engines train the same network?"""
