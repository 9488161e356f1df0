import math

from hypothesis import given, settings

from dpsynth.marginals.graphical_model.junction_tree import JunctionTree, bits

from .distributions import graphs


@settings(deadline=None, max_examples=40)
@given(graphs(most_columns=9))
def test_every_column_hangs_together(distribution):
    """The running intersection property: a column's cliques have one top, and every other a parent that has it too."""
    sizes, cliques = distribution
    tree = JunctionTree.over(sizes, cliques)
    assert tree.parents[0] == -1
    assert all(parent < i for i, parent in enumerate(tree.parents))
    for column in range(len(sizes)):
        having = [i for i, clique in enumerate(tree.cliques) if column in clique]
        tops = [i for i in having if column not in tree.separators[i]]
        assert len(tops) == 1
        assert all(column in tree.cliques[tree.parents[i]] for i in having if i not in tops)


@settings(deadline=None, max_examples=40)
@given(graphs(most_columns=9))
def test_children_separators_and_subtrees(distribution):
    sizes, cliques = distribution
    tree = JunctionTree.over(sizes, cliques)
    for i, clique in enumerate(tree.cliques):
        assert all(tree.parents[k] == i for k in tree.children[i])
        if i:
            assert set(tree.separators[i]) == set(clique) & set(tree.cliques[tree.parents[i]])
        below = set(clique).union(*(set(bits(tree.below[k])) for k in tree.children[i]))
        assert set(bits(tree.below[i])) == below - set(tree.separators[i])
    assert set(bits(tree.below[0])) == set(range(len(sizes)))
    assert tree.bytes == 8 * sum(math.prod(sizes[j] for j in clique) for clique in tree.cliques)


@settings(deadline=None, max_examples=40)
@given(graphs())
def test_the_holder_is_the_smallest_clique_with_the_columns(distribution):
    sizes, cliques = distribution
    tree = JunctionTree.over(sizes, cliques)
    for clique in cliques:
        i = tree.holder(clique)
        assert set(clique) <= set(tree.cliques[i])
    assert tree.holder(()) is not None
    assert (tree.holder(range(len(sizes))) is None) == (len(tree.cliques) > 1)
