"""The sanity checks on each contender before training: functions in `sanity.CHECKS`."""
