"""Trained runs that answer: recommendations for histories."""

from beamwise.serving.recommender import Recommendation, Recommender, load

__all__ = ["Recommendation", "Recommender", "load"]
