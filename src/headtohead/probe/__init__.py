"""The linear probe: features of a frozen backbone, computed once, and a head trained on them."""
