-- Carves a maze with a depth-first walk and prints it with walls of hash signs.

local Maze = {}
Maze.__index = Maze

local STEPS = {
  { dx = 1, dy = 0 },
  { dx = -1, dy = 0 },
  { dx = 0, dy = 1 },
  { dx = 0, dy = -1 },
}

function Maze.new(width, height, seed)
  assert(width > 1 and height > 1, "a maze needs at least two cells in each direction")
  local self = setmetatable({ width = width, height = height, open = {} }, Maze)
  math.randomseed(seed or os.time())
  self:carve(1, 1)
  return self
end

function Maze:key(x, y)
  return (y - 1) * (2 * self.width + 1) + x
end

function Maze:is_open(x, y)
  return self.open[self:key(x, y)] == true
end

local function shuffled(list)
  local copy = { table.unpack(list) }
  for i = #copy, 2, -1 do
    local j = math.random(i)
    copy[i], copy[j] = copy[j], copy[i]
  end
  return copy
end

function Maze:carve(start_x, start_y)
  local stack = { { x = start_x, y = start_y } }
  self.open[self:key(2 * start_x, 2 * start_y)] = true
  while #stack > 0 do
    local here = stack[#stack]
    local moved = false
    for _, step in ipairs(shuffled(STEPS)) do
      local x, y = here.x + step.dx, here.y + step.dy
      local inside = x >= 1 and x <= self.width and y >= 1 and y <= self.height
      if inside and not self:is_open(2 * x, 2 * y) then
        self.open[self:key(2 * here.x + step.dx, 2 * here.y + step.dy)] = true
        self.open[self:key(2 * x, 2 * y)] = true
        stack[#stack + 1] = { x = x, y = y }
        moved = true
        break
      end
    end
    if not moved then
      stack[#stack] = nil
    end
  end
end

function Maze:render()
  local lines = {}
  for y = 1, 2 * self.height + 1 do
    local row = {}
    for x = 1, 2 * self.width + 1 do
      row[x] = self:is_open(x, y) and "  " or "##"
    end
    lines[y] = table.concat(row)
  end
  return table.concat(lines, "\n")
end

print(Maze.new(tonumber(arg and arg[1]) or 12, tonumber(arg and arg[2]) or 8, 7):render())
