import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.scoring import Anchors, CandidateTree
from beamwise.sequences.negatives import Candidates
from beamwise.testing.tiny_catalogs import TITLES, random_semantic_ids
from beamwise.testing.title_like import title_like_catalog


def tree_of(catalog, leaves, context_lengths, rows=None, depths=None):
    """The tree of candidates given as lists; packed where rows are given."""
    candidates = Candidates(torch.tensor(leaves), None if depths is None else torch.tensor(depths))
    if rows is None:
        anchors = Anchors.one_a_row(torch.tensor(context_lengths))
    else:
        anchors = Anchors(torch.tensor(rows), torch.tensor(context_lengths), path_in_context=True)
    return CandidateTree.of(catalog, candidates, anchors)


def test_each_prefix_is_one_node():
    # leaves of TITLES: [5,6,1], [5,6,7,1], [5,9,1], [8,1]
    tree = tree_of(TITLES, [[0, 1, 2, 3, 1]], [4])
    assert tree.nodes.tokens.tolist() == [[0, 5, 8, 6, 9, 7]]
    assert tree.nodes.parents.tolist() == [[-1, 0, 0, 1, 1, 3]]
    assert tree.nodes.depth.tolist() == [[0, 1, 1, 2, 2, 3]]
    assert tree.nodes.first_of_depth == (0, 1, 3, 5)
    assert tree.places[0, 1].tolist() == [0, 1, 3, 5]  # [5,6,7,1]: from root, 5, 56, 567
    assert tree.places[0, 3, :2].tolist() == [0, 2]  # [8,1]: from root, 8


def test_rows_with_fewer_prefixes_are_padded():
    tree = tree_of(TITLES, [[3, 3], [1, 2]], [4, 2])
    assert tree.nodes.tokens.tolist() == [[0, 8, -1, -1, -1], [0, 5, 6, 9, 7]]
    assert tree.nodes.context_length.tolist() == [[4, 4, -1, -1, -1], [2, 2, 2, 2, 2]]


@given(seed=st.integers(0, 2**32 - 1))
def test_tree_holds_the_distinct_prefixes_and_nothing_else(seed):
    catalog = random_semantic_ids(seed)
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.randint(catalog.num_leaves, (2, 5), generator=generator)
    tree = tree_of(catalog, candidates.tolist(), [1, 1])
    for row in range(2):
        paths = catalog.leaf_tokens[candidates[row]].tolist()
        prefixes = {tuple(path[:length]) for path in paths for length in range(len(path))}
        spelled = []
        for column in range(tree.nodes.tokens.shape[1]):
            if tree.nodes.depth[row, column] >= 0:
                prefix, node = [], column
                while node > 0:
                    prefix.insert(0, int(tree.nodes.tokens[row, node]))
                    node = int(tree.nodes.parents[row, node])
                spelled.append(tuple(prefix))
        assert sorted(spelled) == sorted(prefixes)


def spelled(tree, context, place):
    """What the node at a place has read: its part of the context, then its own tokens."""
    row, column = divmod(place, tree.nodes.tokens.shape[1])
    length = int(tree.nodes.context_length[row, column])
    own = []
    while int(tree.nodes.parents[row, column]) >= 0:
        own.insert(0, int(tree.nodes.tokens[row, column]))
        column = int(tree.nodes.parents[row, column])
        assert int(tree.nodes.context_length[row, column]) == length
    assert int(tree.nodes.depth[row, column]) == 0
    return context[row][:length] + own


@given(seed=st.integers(0, 2**32 - 1), titles=st.booleans())
def test_packed_targets_read_their_own_path_in_the_context(seed, titles):
    catalog = TITLES if titles else random_semantic_ids(seed)
    generator = torch.Generator().manual_seed(seed)
    sizes = [3, 1, 2]
    rows = [row for row, size in enumerate(sizes) for _ in range(size)]
    leaves = torch.randint(catalog.num_leaves, (len(rows), 5), generator=generator)
    paths = [[t for t in path if t >= 0] for path in catalog.leaf_tokens.tolist()]
    contexts, lengths = [[7], [7, 7], [7]], []
    for row, leaf in zip(rows, leaves[:, 0].tolist(), strict=True):
        lengths.append(len(contexts[row]))
        contexts[row] += paths[leaf][:-1] if titles else paths[leaf]
    tree = tree_of(catalog, leaves.tolist(), lengths, rows)
    for target, row in enumerate(rows):
        history = contexts[row][: lengths[target]]
        for candidate, leaf in enumerate(leaves[target].tolist()):
            for level in range(len(paths[leaf])):
                place = int(tree.places[target, candidate, level])
                place = int(tree.used[place])
                assert place // tree.nodes.tokens.shape[1] == row
                assert spelled(tree, contexts, place) == history + paths[leaf][:level]
                assert int(tree.tokens[target, candidate, level]) == paths[leaf][level]


def test_a_packed_target_without_negatives_is_roots_alone():
    tree = tree_of(TITLES, [[1], [3]], [4, 8], rows=[0, 0])  # [5,6,7,1] and [8,1]
    assert tree.nodes.context_length.tolist() == [[4, 5, 6, 7, 8, 9, -1, -1]]
    assert tree.nodes.depth.tolist() == [[0, 0, 0, 0, 0, 0, -1, -1]]
    assert tree.nodes.first_of_depth == (0,)


def test_only_what_leaves_the_targets_path_is_computed():
    # targets [5,6,7,1]; [5,6,1] leaves it after two tokens, [5,9,1] after one, [8,1] at once
    tree = tree_of(TITLES, [[1, 0, 2, 3]], [4], rows=[0])
    assert tree.nodes.tokens.tolist() == [[0, 0, 0, 0, 8, 9]]
    assert tree.nodes.first_of_depth == (0, 4)
    assert int(tree.places[0, 1, 2]) == 2  # [5,6] is the target's own prefix


def test_prefixes_and_missing_candidates_have_no_tokens_past_their_ends():
    tree = tree_of(TITLES, [[1, 0, -1]], [4], depths=[[4, 2, 0]])
    assert tree.tokens.tolist() == [[[5, 6, 7, 1], [5, 6, -1, -1], [-1, -1, -1, -1]]]
    assert tree.nodes.tokens.tolist() == [[0, 5, 6, 7]]


@given(seed=st.integers(0, 2**32 - 1), titles=st.booleans())
def test_one_candidate_alone_has_the_tree_of_two_equal_ones(seed, titles):
    catalog = title_like_catalog(seed) if titles else random_semantic_ids(seed)
    generator = torch.Generator().manual_seed(seed)
    leaves = torch.randint(catalog.num_leaves, (3, 1), generator=generator)
    alone = tree_of(catalog, leaves.tolist(), [4, 2, 7])
    twice = tree_of(catalog, leaves.repeat(1, 2).tolist(), [4, 2, 7])
    for name, value in vars(alone.nodes).items():
        other = getattr(twice.nodes, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
    assert torch.equal(alone.used, twice.used)
    exists = alone.tokens >= 0
    assert torch.equal(alone.places[exists], twice.places[:, :1][exists])
    assert torch.equal(alone.tokens, twice.tokens[:, :1])
