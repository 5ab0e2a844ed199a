"""One file is one stage is one public function. Stages know each other only through tables."""
