# Heat conduction along a rod with fixed ends, by the implicit scheme of Crank and Nicolson.

module HeatRod

export Rod, step!, simulate

struct Rod
    length::Float64       # metres
    diffusivity::Float64  # square metres per second
    temperature::Vector{Float64}
end

"Solve a tridiagonal system in place; `rhs` holds the answer afterwards."
function thomas!(lower, diagonal, upper, rhs)
    n = length(rhs)
    scratch = similar(rhs)
    scratch[1] = upper[1] / diagonal[1]
    rhs[1] /= diagonal[1]
    for i in 2:n
        pivot = diagonal[i] - lower[i] * scratch[i-1]
        scratch[i] = i < n ? upper[i] / pivot : 0.0
        rhs[i] = (rhs[i] - lower[i] * rhs[i-1]) / pivot
    end
    for i in n-1:-1:1
        rhs[i] -= scratch[i] * rhs[i+1]
    end
    return rhs
end

function step!(rod::Rod, seconds::Real)
    t = rod.temperature
    n = length(t)
    width = rod.length / (n - 1)
    r = rod.diffusivity * seconds / (2 * width^2)
    inner = n - 2
    rhs = [r * t[i-1] + (1 - 2r) * t[i] + r * t[i+1] for i in 2:n-1]
    rhs[1] += r * t[1]
    rhs[end] += r * t[n]
    t[2:n-1] .= thomas!(fill(-r, inner), fill(1 + 2r, inner), fill(-r, inner), rhs)
    return rod
end

"Temperatures after every step, one column per step."
function simulate(rod::Rod; steps::Int, seconds::Real)
    history = zeros(length(rod.temperature), steps + 1)
    history[:, 1] = rod.temperature
    for k in 1:steps
        step!(rod, seconds)
        history[:, k+1] = rod.temperature
    end
    return history
end

end
