defmodule Mailbox do
  @moduledoc """
  Holds messages for people who are away and hands them over, oldest first, when they come back.
  """

  use GenServer

  @type person :: String.t()
  @type letter :: %{from: person, body: String.t(), at: DateTime.t()}

  def start_link(options \\ []) do
    GenServer.start_link(__MODULE__, options, name: Keyword.get(options, :name, __MODULE__))
  end

  @spec leave(GenServer.server(), person, person, String.t()) :: :ok | {:error, :full}
  def leave(box, from, to, body), do: GenServer.call(box, {:leave, from, to, body})

  @spec collect(GenServer.server(), person) :: [letter]
  def collect(box, person), do: GenServer.call(box, {:collect, person})

  @impl true
  def init(options) do
    limit = Keyword.get(options, :limit, 100)
    {:ok, %{limit: limit, letters: %{}}}
  end

  @impl true
  def handle_call({:leave, from, to, body}, _caller, state) do
    waiting = Map.get(state.letters, to, :queue.new())

    if :queue.len(waiting) >= state.limit do
      {:reply, {:error, :full}, state}
    else
      letter = %{from: from, body: body, at: DateTime.utc_now()}
      letters = Map.put(state.letters, to, :queue.in(letter, waiting))
      {:reply, :ok, %{state | letters: letters}}
    end
  end

  def handle_call({:collect, person}, _caller, state) do
    {waiting, letters} = Map.pop(state.letters, person, :queue.new())
    {:reply, :queue.to_list(waiting), %{state | letters: letters}}
  end
end
