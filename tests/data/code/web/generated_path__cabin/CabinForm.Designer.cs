namespace Harbour
{
    partial class CabinForm
    {
        private System.Windows.Forms.Button lampButton;
        private System.Windows.Forms.Label berthLabel;

        private void InitializeComponent()
        {
            this.lampButton = new System.Windows.Forms.Button();
            this.berthLabel = new System.Windows.Forms.Label();
            this.lampButton.Location = new System.Drawing.Point(24, 60);
            this.lampButton.Text = "Lamp";
            this.berthLabel.Text = "Berth";
            this.Controls.Add(this.lampButton);
            this.Controls.Add(this.berthLabel);
        }
    }
}
