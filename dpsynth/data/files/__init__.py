"""Files that come with the package: the declared domains, and Adult."""
