#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>

namespace schedule {

// Maps half-open ranges [from, to) to values. Neighbouring ranges with the same value are one range.
template <typename Key, typename Value>
class IntervalMap {
public:
    void assign(Key from, Key to, const Value& value)
    {
        if (!(from < to)) {
            throw std::invalid_argument("an interval must not be empty");
        }
        split_at(from);
        split_at(to);
        auto begin = ranges_.lower_bound(from);
        auto end = ranges_.lower_bound(to);
        ranges_.erase(begin, end);
        auto [place, inserted] = ranges_.emplace(from, Range{to, value});
        merge_around(place);
        (void)inserted;
    }

    void erase(Key from, Key to)
    {
        split_at(from);
        split_at(to);
        ranges_.erase(ranges_.lower_bound(from), ranges_.lower_bound(to));
    }

    std::optional<Value> at(Key key) const
    {
        auto after = ranges_.upper_bound(key);
        if (after == ranges_.begin()) {
            return std::nullopt;
        }
        const auto& [from, range] = *std::prev(after);
        return key < range.to ? std::optional<Value>(range.value) : std::nullopt;
    }

    std::size_t size() const noexcept { return ranges_.size(); }

    friend std::ostream& operator<<(std::ostream& out, const IntervalMap& map)
    {
        for (const auto& [from, range] : map.ranges_) {
            out << '[' << from << ", " << range.to << ") = " << range.value << '\n';
        }
        return out;
    }

private:
    struct Range {
        Key to;
        Value value;
    };
    using Ranges = std::map<Key, Range>;

    void split_at(Key key)
    {
        auto after = ranges_.upper_bound(key);
        if (after == ranges_.begin()) {
            return;
        }
        auto& [from, range] = *std::prev(after);
        if (from < key && key < range.to) {
            ranges_.emplace(key, range);
            range.to = key;
        }
    }

    void merge_around(typename Ranges::iterator place)
    {
        auto next = std::next(place);
        if (next != ranges_.end() && next->first == place->second.to && next->second.value == place->second.value) {
            place->second.to = next->second.to;
            ranges_.erase(next);
        }
        if (place == ranges_.begin()) {
            return;
        }
        auto before = std::prev(place);
        if (before->second.to == place->first && before->second.value == place->second.value) {
            before->second.to = place->second.to;
            ranges_.erase(place);
        }
    }

    Ranges ranges_;
};

template class IntervalMap<std::int64_t, int>;

}  // namespace schedule
