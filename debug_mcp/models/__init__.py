"""The nouns: states, stored records, arguments and views, one file each."""
