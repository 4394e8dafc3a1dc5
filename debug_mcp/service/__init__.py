"""The rules: permission, lifecycle, order of effects."""
