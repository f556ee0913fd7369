"""Fisher vectors of descriptors under a mixture of Gaussians with diagonal covariances."""

import math

import torch

VERSION = 1


def fisher_statistics(descriptors, segments, n_segments, weights, means, variances):
    """Posterior-weighted sums from which the Fisher vectors of segments, and unions of them, come.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    segments : torch.Tensor of shape (m,), int64
        In 0..n_segments - 1.
    n_segments : int
    weights : torch.Tensor of shape (k,), float32
        Of the Gaussians; they sum to 1.
    means, variances : torch.Tensor of shape (k, d), float32

    Returns
    -------
    torch.Tensor of shape (n_segments, k, 1 + 2 * d), float32
        For each Gaussian, with q the posterior and z = (x - mean) / deviation: the sum of q, of
        q z and of q (z^2 - 1).
    """
    k, d = means.shape
    deviations = variances.sqrt()
    # Sums are made of x less the mean of means: what cancels below is then small.
    centre = means.mean(0)
    means = means - centre
    x = descriptors - centre
    powers = torch.cat((x, x.square()), 1)  # (m, 2 d)
    q = _posteriors(powers, weights, means, variances)  # (m, k)
    order = segments.argsort(stable=True)
    counts = torch.bincount(segments, minlength=n_segments).tolist()
    sums = descriptors.new_zeros(n_segments, k, 1 + 2 * d)
    pieces = zip(q[order].split(counts), powers[order].split(counts), strict=True)
    for total, (q_here, powers_here) in zip(sums, pieces, strict=True):
        if len(q_here):  # a product for each segment: it is k d descriptors' worth of work
            torch.mm(q_here.t(), powers_here, out=total[:, 1:])
            torch.sum(q_here, 0, out=total[:, 0])
    s0, s1, s2 = sums[..., :1], sums[..., 1 : 1 + d], sums[..., 1 + d :]
    s2.addcmul_(s1, means, value=-2).addcmul_(s0, means.square() - variances).div_(variances)
    s1.addcmul_(s0, means, value=-1).div_(deviations)
    return sums


def _posteriors(powers, weights, means, variances):
    """Probability of each Gaussian given each descriptor, (m, k)."""
    constant = weights.log() - 0.5 * (means.square().div(variances).sum(1) + variances.log().sum(1))
    factors = torch.cat((means / variances, -0.5 / variances), 1)  # (k, 2 d)
    return torch.addmm(constant, powers, factors.t()).softmax(1)


def fisher_vector(statistics, weights):
    """Gradients by the means and the deviations of the Gaussians, made of `fisher_statistics`.

    Parameters
    ----------
    statistics : torch.Tensor of shape (..., k, 1 + 2 * d), float32
    weights : torch.Tensor of shape (k,), float32

    Returns
    -------
    torch.Tensor of shape (..., 2 * k * d), float32
        For each Gaussian the derivatives by its mean, then for each those by its deviations;
        divided by the number of descriptors, not normalised. Zero where there are none.

    References
    ----------
    F. Perronnin, J. Sanchez and T. Mensink, "Improving the Fisher kernel for large-scale image
    classification", ECCV 2010, equations 5 to 8 without the derivatives by the weights.
    """
    d = statistics.shape[-1] // 2
    n = statistics[..., 0].sum(-1)[..., None, None].clamp(min=1)  # posteriors sum to 1
    root = weights.sqrt()[:, None]
    by_mean = statistics[..., 1 : 1 + d] / (n * root)
    by_deviation = statistics[..., 1 + d :] / (n * root * math.sqrt(2))
    return torch.cat((by_mean.flatten(-2), by_deviation.flatten(-2)), -1)
