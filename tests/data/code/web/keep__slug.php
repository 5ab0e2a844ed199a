<?php

declare(strict_types=1);

namespace Example\Text;

use InvalidArgumentException;

/** Turns headlines into stable, unique parts of an address. */
final class Slugger
{
    private const REPLACE = [
        'ä' => 'ae', 'ö' => 'oe', 'ü' => 'ue', 'ß' => 'ss',
        'æ' => 'ae', 'ø' => 'oe', 'å' => 'aa', 'ñ' => 'n', 'é' => 'e', 'è' => 'e', 'ç' => 'c',
    ];

    /** @var array<string, int> how often each slug was handed out */
    private array $taken = [];

    public function __construct(private readonly int $maxLength = 60)
    {
        if ($maxLength < 8) {
            throw new InvalidArgumentException("maxLength must be at least 8, was $maxLength");
        }
    }

    public function slug(string $headline): string
    {
        $plain = strtr(mb_strtolower(trim($headline)), self::REPLACE);
        $plain = preg_replace('/[^a-z0-9]+/', '-', $plain) ?? '';
        $plain = trim($plain, '-');
        if ($plain === '') {
            $plain = 'untitled';
        }
        return $this->unique($this->cut($plain));
    }

    /** Cuts at the last hyphen that fits, so that no word is torn. */
    private function cut(string $slug): string
    {
        if (strlen($slug) <= $this->maxLength) {
            return $slug;
        }
        $short = substr($slug, 0, $this->maxLength + 1);
        $hyphen = strrpos($short, '-');
        return $hyphen === false ? substr($slug, 0, $this->maxLength) : substr($short, 0, $hyphen);
    }

    private function unique(string $slug): string
    {
        $count = $this->taken[$slug] = ($this->taken[$slug] ?? 0) + 1;
        return $count === 1 ? $slug : "$slug-$count";
    }
}

if (PHP_SAPI === 'cli' && isset($argv[0]) && realpath($argv[0]) === __FILE__) {
    $slugger = new Slugger();
    while (($line = fgets(STDIN)) !== false) {
        echo $slugger->slug($line), PHP_EOL;
    }
}
