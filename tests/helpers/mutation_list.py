"""Faults in all rooms of the source, for the mutation test."""

from helpers.mutation import Mutation
from helpers.mutations_of_programs import OF_PROGRAMS
from helpers.mutations_of_scores import OF_SCORES

MUTATIONS: tuple[Mutation, ...] = (*OF_SCORES, *OF_PROGRAMS)
