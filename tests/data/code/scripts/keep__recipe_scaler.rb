# frozen_string_literal: true

# Scales a recipe to another number of guests and rounds to amounts that a kitchen can measure.
module RecipeScaler
  UNITS = {
    'g' => 5.0,
    'ml' => 10.0,
    'tsp' => 0.25,
    'tbsp' => 0.5,
    'piece' => 1.0
  }.freeze

  Ingredient = Struct.new(:name, :amount, :unit) do
    def scale(factor)
      step = UNITS.fetch(unit) { raise ArgumentError, "unknown unit #{unit.inspect} of #{name}" }
      rounded = (amount * factor / step).round * step
      rounded = step if rounded.zero? && amount.positive?
      Ingredient.new(name, rounded, unit)
    end

    def to_s
      number = (amount % 1).zero? ? amount.to_i : amount
      "#{number} #{unit} #{name}"
    end
  end

  class Recipe
    attr_reader :title, :guests, :ingredients

    def initialize(title, guests:)
      raise ArgumentError, 'a recipe needs guests' unless guests.positive?

      @title = title
      @guests = guests
      @ingredients = []
    end

    def add(name, amount, unit)
      ingredients << Ingredient.new(name, amount.to_f, unit)
      self
    end

    def for_guests(number)
      scaled = Recipe.new(title, guests: number)
      factor = number.fdiv(guests)
      ingredients.each { |i| scaled.ingredients << i.scale(factor) }
      scaled
    end

    def to_s
      ["#{title} (for #{guests})", *ingredients.map { |i| "  #{i}" }].join("\n")
    end
  end
end

if $PROGRAM_NAME == __FILE__
  soup = RecipeScaler::Recipe.new('Leek soup', guests: 4)
  soup.add('leeks', 3, 'piece').add('potatoes', 400, 'g').add('stock', 900, 'ml').add('nutmeg', 0.5, 'tsp')
  puts soup.for_guests(Integer(ARGV.fetch(0, 6)))
end
