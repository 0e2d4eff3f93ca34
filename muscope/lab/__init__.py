"""The lab: trains stacked models and measures them. The only room that imports torch."""
