"""A coordinate check and a sweep of one variant, read together: do they agree, and if not, why?"""
