puts "Good morning, everybody"
